"""PyTorch's fastest form of a network that TorchScript can make and run here."""
import torch

# NNC, the fuser for CPUs, has no LLVM in Debian's PyTorch 2.6 and interprets what
# it fuses, minutes for a pass in bf16. PyTorch 1.13 does not fuse on CPUs.
if torch.__version__ >= '2':
    torch._C._jit_set_texpr_fuser_enabled(False)


def jit(net, x):
    """net (in its mode for inference), traced with x, frozen, and optimized for
    inference unless that form cannot be run, as in PyTorch 2.6 (no kernels for
    weights in oneDNN's own layout)."""
    def frozen():
        return torch.jit.freeze(torch.jit.trace(net.eval(), x, strict=False))
    best = torch.jit.optimize_for_inference(frozen())
    try:
        with torch.no_grad():
            for _ in range(2):  # it optimizes on the second pass
                best(x)
    except RuntimeError:
        return frozen()
    return best
