//! The names that a pickle of tensors may hold, and what each stands for here.

use super::moments::Dtype;

/// A name that a pickle refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// A tensor of a storage.
    Tensor,
    /// A tensor in a wrapper, which is the first argument.
    Wrapped,
    /// A dictionary that keeps its order, or has a default.
    Mapping,
    Storage(Dtype),
    /// Harmless, and of no interest: what is made of it is not looked at.
    Inert,
}

/// `None` for a name that is not on the list.
///
/// The inert ones are what the states of random number generators, which dlm and others keep in the same file, are made of.
pub(super) fn known(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Global::Tensor,
        ("torch._utils", "_rebuild_parameter") => Global::Wrapped,
        ("collections", "OrderedDict" | "defaultdict") => Global::Mapping,
        ("torch" | "torch.storage", storage) if storage.ends_with("Storage") => Global::Storage(Dtype::of_storage(storage)?),
        ("torch", "Size" | "device" | "float16" | "bfloat16" | "float32" | "float64" | "uint8" | "int32" | "int64" | "bool")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct" | "scalar")
        | ("numpy", "ndarray" | "dtype")
        | ("_codecs", "encode")
        | ("builtins" | "__builtin__", "set" | "frozenset" | "bytearray" | "complex" | "dict" | "list" | "int" | "float") => {
            Global::Inert
        }
        _ => return None,
    })
}
