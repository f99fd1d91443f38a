"""Errors after which a GPU cannot be used any more by the process that met them."""

# Parts of the messages of CUDA, ROCm and their libraries.
MARKS = ("cuda error", "hip error", "cublas_status", "cudnn_status", "cusolver_status", "nccl")


def is_device_error(error: BaseException) -> bool:
    """Tell whether a device failed; running out of its memory is no such failure."""
    told = f"{type(error).__name__} {error}".lower()
    if "out of memory" in told or "outofmemory" in told or "alloc_failed" in told:
        return False
    return any(mark in told for mark in MARKS) or "acceleratorerror" in told
