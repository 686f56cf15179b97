//! The functions that a guest imports from `hotsocket:session/hibernation`, and what
//! it has said by them.
//!
//! The session decides whether an instance is put to sleep; here it only learns
//! whether the guest allows it.

use wasmtime::component::{LinkerInstance, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use crate::bounded_text::BoundedText;
use crate::guest_output::truncate;
use crate::store_data::StoreData;

/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 160;

/// What a guest has said in `save`, and what it is given in `open`.
#[derive(Debug, Default)]
pub struct Hibernation {
    /// Whether `save` runs, in which alone a guest may say something.
    saves: bool,
    /// Why the instance may not be put to sleep.
    stays_awake: Option<String>,
    /// For the instance that is woken.
    keeps: Option<Vec<u8>>,
    /// From the instance before, during `open`.
    kept: Option<Vec<u8>>,
    /// The most that may be kept, in bytes.
    max: usize,
}

impl Hibernation {
    /// `save` begins.
    pub fn begin_save(&mut self, max: usize) {
        *self = Hibernation {
            saves: true,
            max,
            ..Self::default()
        };
    }

    /// `save` is over.
    pub fn end_save(&mut self) {
        self.saves = false;
    }

    /// Whether `save` runs.
    pub fn is_saving(&self) -> bool {
        self.saves
    }

    /// Why the last `save` was not for hibernation.
    pub fn take_reason(&mut self) -> Option<String> {
        self.stays_awake.take()
    }

    /// What the last `save` keeps in addition to the snapshot.
    pub fn take_keeps(&mut self) -> Option<Vec<u8>> {
        self.keeps.take()
    }

    /// What `open` will be given.
    pub fn give(&mut self, kept: Option<Vec<u8>>) {
        self.kept = kept;
    }
}

/// Link the functions.
pub fn link(hibernation: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    hibernation.func_wrap(
        "stay-awake",
        |mut store: StoreContextMut<StoreData>, (why,): (BoundedText<WasmStr>,)| {
            if store.data().hibernation.saves {
                let why = why.text.to_str(&store)?;
                let why = String::from_utf8_lossy(truncate(why.as_bytes(), MAX_REASON));
                let why = crate::fault::one_line(&why);
                store.data_mut().hibernation.stays_awake = Some(why);
            }
            Ok(())
        },
    )?;
    hibernation.func_wrap(
        "keep",
        |mut store: StoreContextMut<StoreData>, (bytes,): (WasmList<u8>,)| {
            let hibernation = &store.data().hibernation;
            if hibernation.saves && bytes.len() <= hibernation.max {
                let bytes = bytes.as_le_slice(store.as_context()).to_vec();
                store.data_mut().hibernation.keeps = Some(bytes);
            } else if hibernation.saves {
                let why = format!("it would keep {} bytes (raise --max-snapshot)", bytes.len());
                store.data_mut().hibernation.stays_awake = Some(why);
            }
            Ok(())
        },
    )?;
    hibernation.func_wrap("kept", |mut store: StoreContextMut<StoreData>, (): ()| {
        Ok((store.data_mut().hibernation.kept.take(),))
    })
}
