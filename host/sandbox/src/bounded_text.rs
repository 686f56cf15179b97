//! The beginning of a guest's text.
//!
//! A guest may pass all of its memory as one string. To check 60 MB of UTF-8
//! takes the host 40 ms, to convert as much UTF-16 100 ms and 90 MB; all of it within
//! one call, which no tick interrupts. [`WasmStr`] doesn't say how long it is. So
//! this type shortens a string before it hands it to wasmtime's own type.

use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentType, Lift, WasmStr};
use wasmtime::{Result, ValRaw};

use crate::guest_output::truncate;

/// The longest text in UTF-8 that is looked at, in bytes: as much as `--max-line` may
/// be. It takes a millisecond.
const MAX_UTF8: usize = 2 << 20;
/// The same for other encodings, in code units; those are converted.
const MAX_UTF16: usize = 256 << 10;
/// Marks text in UTF-16 in the length of a string that may be Latin-1 as well.
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading>
const UTF16_TAG: u32 = 1 << 31;

/// Text, as a `T` that wasmtime knows as a `string`: at most so many bytes of UTF-8, and
/// as many code units of other encodings, but no more than [`MAX_UTF16`].
#[derive(Debug)]
pub struct BoundedText<T, const MAX: usize = MAX_UTF8> {
    pub text: T,
    /// It was longer.
    pub is_cut: bool,
}

// SAFETY: everything is that of `T`.
unsafe impl<T: ComponentType, const MAX: usize> ComponentType for BoundedText<T, MAX> {
    type Lower = T::Lower;

    const ABI: CanonicalAbiInfo = T::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        T::typecheck(ty, types)
    }
}

// SAFETY: `T` lifts a string, of the guest's or of a part of it.
unsafe impl<T: Lift<Lower = [ValRaw; 2]>, const MAX: usize> Lift for BoundedText<T, MAX> {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &Self::Lower,
    ) -> Result<Self> {
        // A string that isn't within the memory is an error, however long it is.
        WasmStr::linear_lift_from_flat(cx, ty, src)?;
        let [start, length] = src;
        let whole = length.get_u32();
        let part = shorten(cx, start.get_u32(), whole, MAX);
        let src = [*start, ValRaw::u32(part)];
        Ok(BoundedText {
            text: T::linear_lift_from_flat(cx, ty, &src)?,
            is_cut: part != whole,
        })
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> Result<Self> {
        let half = |at| {
            let half = bytes.get(at..).and_then(<[u8]>::first_chunk);
            ValRaw::u32(half.map_or(0, |half| u32::from_le_bytes(*half)))
        };
        let src = [half(0), half(4)];
        Self::linear_lift_from_flat(cx, ty, &src)
    }
}

/// The length of what is looked at of a string, in units of its encoding and with
/// its tag.
fn shorten(cx: &LiftContext<'_>, start: u32, length: u32, max: usize) -> u32 {
    let max_units = max.min(MAX_UTF16);
    let (tag, units) = match cx.options().string_encoding {
        StringEncoding::Utf8 => {
            let bytes = cx.memory().get(start as usize..).unwrap_or_default();
            let bytes = bytes.get(..length as usize).unwrap_or(bytes);
            return match bytes.len() <= max {
                true => length,
                false => truncate(bytes, max).len() as u32,
            };
        }
        StringEncoding::CompactUtf16 if length & UTF16_TAG == 0 => {
            return length.min(max_units as u32);
        }
        StringEncoding::CompactUtf16 => (UTF16_TAG, length & !UTF16_TAG),
        StringEncoding::Utf16 => (0, length),
    };
    let most = max_units as u32;
    if units <= most {
        return length;
    }
    // Not between the two halves of a surrogate pair.
    let last = start as usize + 2 * (max_units - 1);
    let last = cx.memory().get(last..).and_then(<[u8]>::first_chunk);
    let is_high = last.is_some_and(|unit| u16::from_le_bytes(*unit) & 0xFC00 == 0xD800);
    tag | (most - u32::from(is_high))
}
