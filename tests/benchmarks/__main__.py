"""`make bench`: every benchmark that needs nothing but this machine."""

from tests.benchmarks import families, no_barrier, soak, throughput

if __name__ == "__main__":
    no_barrier.main()
    families.main()
    soak.main()
    throughput.main()
