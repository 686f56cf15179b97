//! What a generation's instances export, looked up once for all of them.

use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, TypedFunc,
};

use super::component::HANDLER;
use super::fault::Event;
use super::state::State;

/// A linked component, and where in it the functions of the handler are.
pub struct Exports {
    pub pre: InstancePre<State>,
    functions: [ComponentExportIndex; EVENTS.len()],
}

/// The exported functions, with the events that call them.
const EVENTS: [(&str, Event); 8] = [
    ("listening", Event::Listening),
    ("open", Event::Open),
    ("data", Event::Data),
    ("drained", Event::Drained),
    ("end", Event::End),
    ("timer", Event::Timer),
    ("close", Event::Close),
    ("save", Event::Save),
];

impl Exports {
    /// `None` if a function is missing; [`super::component`] tells which.
    pub fn new(pre: InstancePre<State>) -> Option<Self> {
        let component = pre.component();
        let handler = component.get_export_index(None, HANDLER)?;
        let mut functions = [handler; EVENTS.len()];
        for ((name, _), function) in EVENTS.iter().zip(&mut functions) {
            *function = component.get_export_index(Some(&handler), name)?;
        }
        Some(Exports { pre, functions })
    }

    /// The function of an instance that an event calls.
    ///
    /// # Errors
    /// When it has another type, which the trial has ruled out.
    pub fn function<P, R>(
        &self,
        event: Event,
        instance: &Instance,
        store: &mut Store<State>,
    ) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let index = EVENTS
            .iter()
            .zip(&self.functions)
            .find_map(|((_, known), index)| (*known == event).then_some(index))
            .ok_or_else(|| wasmtime::Error::msg("not an event"))?;
        instance.get_typed_func(store, index)
    }
}
