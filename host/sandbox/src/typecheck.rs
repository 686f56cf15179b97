//! Finds the export that has a wrong type: wasmtime's own error describes the
//! types, but does not name the export.

use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower};

use crate::fault::one_line;
use crate::store_data::StoreData;

/// Describes what is wrong with the type of an exported function, if anything is.
pub type TypeCheck = fn(&Instance, &mut Store<StoreData>, &ComponentExportIndex) -> Option<String>;

/// Compare an exported function with the parameters and results that it must
/// have.
pub fn check<P, R>(
    instance: &Instance,
    store: &mut Store<StoreData>,
    export: &ComponentExportIndex,
) -> Option<String>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let function = instance.get_typed_func::<P, R>(store, export);
    Some(one_line(&function.err()?.root_cause().to_string()))
}
