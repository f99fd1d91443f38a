"""`make bench`: every benchmark that needs nothing but this machine."""

from tests.benchmarks import families, mistakes, no_barrier, soak, throughput

if __name__ == "__main__":
    mistakes.main()
    no_barrier.main()
    families.main()
    soak.main()
    throughput.main()
