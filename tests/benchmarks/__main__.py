"""`make bench`: every benchmark that needs nothing but this machine."""

from tests.benchmarks import (
    families,
    joining,
    long_study,
    mistakes,
    no_barrier,
    overhead,
    soak,
    throughput,
)

if __name__ == "__main__":
    mistakes.main()
    no_barrier.main()
    overhead.main()
    joining.main()
    long_study.main()
    families.main()
    soak.main()
    throughput.main()
