//! The contract between host and guests: every version of every package that a
//! guest may export or import, in one table, [`PACKAGES`].
//!
//! Loading, linking, type checks, `inspect` and error messages all read it, so a
//! second version or a second package is one more row. A published row never
//! changes: guests built against it run for ever. What the functions mean is
//! documented in `wit/`.

use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Linker, LinkerInstance,
    Lower, TypedFunc,
};

use crate::bindings::hotsocket::socket::types::{Address, CloseReason, Origin};
use crate::environment;
use crate::fault::Event;
use crate::hibernation;
use crate::imports;
use crate::key_value::{extension, imports as key_value};
use crate::peer;
use crate::start_tls;
use crate::store_data::StoreData;
use crate::text;
use crate::topics;
use crate::typecheck::{self, TypeCheck};

type Bytes = Vec<u8>;

/// Newest version of each package first.
pub const PACKAGES: &[Package] = &[
    Package {
        name: "hotsocket:socket",
        version: "0.1.0",
        handler: Some("handler"),
        also: None,
        functions: &[
            function::<(Vec<Address>,), ()>("listening", Event::Listening),
            function::<(Origin,), (Result<(), String>,)>("open", Event::Open),
            function::<(Bytes,), ()>("data", Event::Data),
            function::<(), ()>("drained", Event::Drained),
            function::<(), ()>("end", Event::End),
            function::<(u32,), ()>("timer", Event::Timer),
            function::<(CloseReason,), ()>("close", Event::Close),
            function::<(), (Option<Bytes>,)>("save", Event::Save),
        ],
        imports: &[
            import("types", |_| Ok(())),
            import("connection", imports::link_connection),
            import("output", imports::link_output),
        ],
    },
    Package {
        name: "hotsocket:session",
        version: "0.1.0",
        handler: None,
        also: None,
        functions: &[],
        imports: &[
            import("session", imports::link_session),
            import("hibernation", hibernation::link),
        ],
    },
    Package {
        name: "hotsocket:topics",
        version: "0.1.0",
        handler: None,
        also: Some("subscriber"),
        functions: &[
            function::<(String, u64, Bytes), ()>("message", Event::Message),
            function::<(u64,), ()>("lagged", Event::Lagged),
        ],
        imports: &[import("topics", topics::link)],
    },
    Package {
        name: "wasi:keyvalue",
        version: "0.2.0-draft2",
        handler: None,
        also: None,
        functions: &[],
        imports: &[
            import_that_may_wait("store", key_value::link_store),
            import_that_may_wait("atomics", key_value::link_atomics),
            import_that_may_wait("batch", key_value::link_batch),
        ],
    },
    Package {
        name: "hotsocket:store",
        version: "0.1.0",
        handler: None,
        also: None,
        functions: &[],
        imports: &[import_that_may_wait("store", extension::link)],
    },
    Package {
        name: "hotsocket:peer",
        version: "0.1.0",
        handler: None,
        also: None,
        functions: &[],
        imports: &[import("peer", peer::link)],
    },
    Package {
        name: "hotsocket:tls",
        version: "0.1.0",
        handler: None,
        also: None,
        functions: &[],
        imports: &[import("upgrade", start_tls::link)],
    },
    Package {
        name: "hotsocket:text",
        version: "0.1.0",
        handler: None,
        also: None,
        functions: &[],
        imports: &[import("utf8", text::link)],
    },
    Package {
        name: "hotsocket:environment",
        version: "0.1.0",
        handler: None,
        also: None,
        functions: &[],
        imports: &[import("environment", environment::link)],
    },
];

/// One version of a package.
#[derive(Debug)]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    /// The interface that a guest exports to be called; `None` if the package only has
    /// imports, which a guest with any handler may use.
    pub handler: Option<&'static str>,
    /// An interface that a guest may export besides its handler, to be called, too.
    pub also: Option<&'static str>,
    /// The functions of that interface or of [`Self::handler`]; a guest that exports it
    /// must have all of them.
    pub functions: &'static [Function],
    /// The interfaces that a guest may import.
    pub imports: &'static [Import],
}

/// An exported function and the event that calls it.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    pub event: Event,
    pub check: TypeCheck,
}

/// An interface that the host implements.
#[derive(Debug)]
pub struct Import {
    pub name: &'static str,
    pub link: Link,
}

type LinkAll = fn(&mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()>;
type LinkWaiting = fn(&mut LinkerInstance<'_, StoreData>, bool) -> wasmtime::Result<()>;

/// Links the functions of an interface.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    /// None of them ever waits.
    All(LinkAll),
    /// They may wait for guests that are called on fibers only, and the flag is true for
    /// those.
    Waiting(LinkWaiting),
}

const fn function<P, R>(name: &'static str, event: Event) -> Function
where
    P: ComponentNamedList + Lower + 'static,
    R: ComponentNamedList + Lift + 'static,
{
    Function {
        name,
        event,
        check: typecheck::check::<P, R>,
    }
}

const fn import(name: &'static str, link: LinkAll) -> Import {
    let link = Link::All(link);
    Import { name, link }
}

const fn import_that_may_wait(name: &'static str, link: LinkWaiting) -> Import {
    let link = Link::Waiting(link);
    Import { name, link }
}

impl Package {
    /// An interface of this package as components name it:
    /// `hotsocket:socket/handler@0.1.0`.
    pub fn interface(&self, name: &str) -> String {
        format!("{}/{name}@{}", self.name, self.version)
    }

    /// The handler as components name it.
    pub fn handler_interface(&self) -> Option<String> {
        Some(self.interface(self.handler?))
    }

    /// What a guest may export besides, as components name it.
    pub fn also_interface(&self) -> Option<String> {
        Some(self.interface(self.also?))
    }
}

/// Whether an interface is one that the host calls.
pub fn is_handler(interface: &str) -> bool {
    PACKAGES
        .iter()
        .any(|package| package.handler_interface().as_deref() == Some(interface))
}

/// The same, or one that a guest may export besides.
pub fn is_called(interface: &str) -> bool {
    is_handler(interface)
        || PACKAGES
            .iter()
            .any(|package| package.also_interface().as_deref() == Some(interface))
}

/// Whether an interface is one that the host implements, WASI apart.
pub fn is_import(interface: &str) -> bool {
    PACKAGES.iter().any(|package| {
        let mut imports = package.imports.iter();
        imports.any(|import| package.interface(import.name) == interface)
    })
}

/// The handlers that this host calls, for messages.
pub fn handlers() -> String {
    let handlers: Vec<_> = PACKAGES
        .iter()
        .filter_map(Package::handler_interface)
        .collect();
    handlers.join(" or ")
}

/// The packages that this host has, for messages.
pub fn packages() -> String {
    let package = |package: &Package| format!("{}@{}", package.name, package.version);
    let packages: Vec<_> = PACKAGES.iter().map(package).collect();
    packages.join(", ")
}

/// Let guests find everything that they may import, but for what `hotsocket-wasi` links.
/// With `may_wait` for guests that are called on fibers only.
pub fn link(linker: &mut Linker<StoreData>, may_wait: bool) -> wasmtime::Result<()> {
    for package in PACKAGES {
        for import in package.imports {
            let mut instance = linker.instance(&package.interface(import.name))?;
            match import.link {
                Link::All(link) => link(&mut instance)?,
                Link::Waiting(link) => link(&mut instance, may_wait)?,
            }
        }
    }
    Ok(())
}

/// A linked component, and where in it the functions are that the host calls. Looked
/// up once for all instances.
pub struct Exports {
    pub pre: InstancePre<StoreData>,
    functions: Vec<(&'static Function, ComponentExportIndex)>,
}

impl Exports {
    /// `None` if a function is missing; [`crate::component`] says which.
    pub fn new(pre: InstancePre<StoreData>) -> Option<Self> {
        let component = pre.component();
        let export = |name: Option<String>| component.get_export_index(None, &name?);
        let find = |functions: &'static [Function], interface| {
            let index = |function: &'static Function| {
                let index = component.get_export_index(Some(&interface), function.name)?;
                Some((function, index))
            };
            functions.iter().map(index).collect::<Option<Vec<_>>>()
        };
        let (package, handler) = PACKAGES
            .iter()
            .find_map(|package| Some((package, export(package.handler_interface())?)))?;
        let mut functions = find(package.functions, handler)?;
        for package in PACKAGES {
            if let Some(also) = export(package.also_interface()) {
                functions.extend(find(package.functions, also)?);
            }
        }
        Some(Exports { pre, functions })
    }

    /// Whether the guest has a function for an event.
    pub fn has(&self, event: Event) -> bool {
        self.index(event).is_some()
    }

    fn index(&self, event: Event) -> Option<&ComponentExportIndex> {
        let mut functions = self.functions.iter();
        functions.find_map(|(function, index)| (function.event == event).then_some(index))
    }

    /// The function of an instance that an event calls.
    ///
    /// # Errors
    /// When it has another type, which the trial has ruled out.
    pub fn function<P, R>(
        &self,
        event: Event,
        instance: &Instance,
        store: &mut Store<StoreData>,
    ) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let index = self
            .index(event)
            .ok_or_else(|| wasmtime::Error::msg("the guest's contract has no such event"))?;
        instance.get_typed_func(store, index)
    }

    /// The first function that has a type other than the contract's, and what
    /// is wrong with it.
    pub fn wrong_type(
        &self,
        instance: &Instance,
        store: &mut Store<StoreData>,
    ) -> Option<(&'static str, String)> {
        let functions = self.functions.iter();
        functions
            .filter_map(|(function, index)| {
                let wrong = (function.check)(instance, store, index)?;
                Some((function.name, wrong))
            })
            .next()
    }
}
