"""`make bench`: every benchmark that needs nothing but this machine."""

from tests.benchmarks import (
    families,
    first_step,
    joining,
    long_study,
    many_images,
    mistakes,
    no_barrier,
    overhead,
    soak,
    throughput,
    worker_memory,
)

if __name__ == "__main__":
    mistakes.main()
    first_step.main()
    no_barrier.main()
    overhead.main()
    worker_memory.main()
    joining.main()
    long_study.main()
    families.main()
    soak.main()
    throughput.main()
    many_images.main()
