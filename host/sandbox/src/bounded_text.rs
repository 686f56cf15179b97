//! Text of a guest that is looked at only if it is not too long.
//!
//! A guest may pass all of its memory as one string. To check 60 MB of UTF-8
//! takes the host 40 ms, to convert as much UTF-16 100 ms and 90 MB; all of it within
//! one call, which no tick interrupts. [`wasmtime::component::WasmStr`] doesn't say how long it is. So
//! this type looks at the length before it hands over to wasmtime's own.

use wasmtime::Result;
use wasmtime::ValRaw;
use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentType, Lift};

/// The longest text in UTF-8 that is looked at, in bytes: as much as `--max-line` may
/// be. It takes a millisecond.
const MAX_UTF8: usize = 2 << 20;
/// The same for other encodings, in code units; those are converted.
const MAX_UTF16: usize = 256 << 10;
/// Marks text in UTF-16 in the length of a string that may be Latin-1 as well.
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading>
const UTF16_TAG: usize = 1 << 31;

/// Text, as a `T` that wasmtime knows as a `string`.
#[derive(Debug)]
pub enum BoundedText<T> {
    Short(T),
    /// So many code units of the guest's encoding.
    TooLong(usize),
}

impl<T> BoundedText<T> {
    fn is_short(cx: &LiftContext<'_>, length: usize) -> bool {
        match cx.options().string_encoding {
            StringEncoding::Utf8 => length <= MAX_UTF8,
            StringEncoding::Utf16 | StringEncoding::CompactUtf16 => length <= MAX_UTF16,
        }
    }
}

// SAFETY: everything is that of `T`.
unsafe impl<T: ComponentType> ComponentType for BoundedText<T> {
    type Lower = T::Lower;

    const ABI: CanonicalAbiInfo = T::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        T::typecheck(ty, types)
    }
}

// SAFETY: the length is read from where a string has it, which is what the bound
// on `Lower` says and `T` has checked; everything else is left to `T`.
unsafe impl<T: Lift<Lower = [ValRaw; 2]>> Lift for BoundedText<T> {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &Self::Lower,
    ) -> Result<Self> {
        let [_, length] = src;
        let length = length.get_u32() as usize & !UTF16_TAG;
        match Self::is_short(cx, length) {
            true => T::linear_lift_from_flat(cx, ty, src).map(BoundedText::Short),
            false => Ok(BoundedText::TooLong(length)),
        }
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> Result<Self> {
        let length = bytes.get(4..8).and_then(|length| length.try_into().ok());
        let length = length.map_or(0, u32::from_le_bytes) as usize & !UTF16_TAG;
        match Self::is_short(cx, length) {
            true => T::linear_lift_from_memory(cx, ty, bytes).map(BoundedText::Short),
            false => Ok(BoundedText::TooLong(length)),
        }
    }
}
