"""`make bench`: every benchmark that needs nothing but this machine."""

from tests.benchmarks import no_barrier, soak

if __name__ == "__main__":
    no_barrier.main()
    soak.main()
