//! Which export of a component has a wrong type. wasmtime's own error says what
//! is wrong with it, but not which one it is.

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower};

use super::bindings::hotsocket::socket::types::{Address, CloseReason, Origin};
use super::component::HANDLER;
use super::fault::one_line;
use super::state::State;

/// The first function of the handler that has a type other than the contract's,
/// and what the difference is.
pub fn wrong_export(
    instance: &Instance,
    store: &mut Store<State>,
) -> Option<(&'static str, String)> {
    type Bytes = Vec<u8>;
    let mut exports = Exports { instance, store };
    exports
        .wrong::<(Vec<Address>,), ()>("listening")
        .or_else(|| exports.wrong::<(Origin,), (Result<(), String>,)>("open"))
        .or_else(|| exports.wrong::<(Bytes,), ()>("data"))
        .or_else(|| exports.wrong::<(), ()>("drained"))
        .or_else(|| exports.wrong::<(), ()>("end"))
        .or_else(|| exports.wrong::<(u32,), ()>("timer"))
        .or_else(|| exports.wrong::<(CloseReason,), ()>("close"))
        .or_else(|| exports.wrong::<(), (Option<Bytes>,)>("save"))
}

struct Exports<'a> {
    instance: &'a Instance,
    store: &'a mut Store<State>,
}

impl Exports<'_> {
    fn wrong<Params, Results>(&mut self, name: &'static str) -> Option<(&'static str, String)>
    where
        Params: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift,
    {
        let handler = self
            .instance
            .get_export_index(&mut *self.store, None, HANDLER)?;
        let index = self
            .instance
            .get_export_index(&mut *self.store, Some(&handler), name)?;
        let function = self
            .instance
            .get_typed_func::<Params, Results>(&mut *self.store, &index);
        let error = function.err()?;
        Some((name, one_line(&error.root_cause().to_string())))
    }
}
