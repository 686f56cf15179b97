//! Checks component bytes before anything is compiled: whether they are
//! a guest, something else, or truncated. Errors tell the author what to do.

use std::time::Duration;

use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::contract;
pub use crate::contract::is_handler;
use crate::fault::{human, one_line};
use crate::part_count;

/// Why bytes cannot be served. Each message follows the file's name.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LoadError {
    #[error("is empty")]
    Empty,
    #[error("is text, not a WebAssembly component; `hotsocket build` compiles a guest's source")]
    Text,
    #[error("is not WebAssembly: it does not begin with \\0asm")]
    NotWasm,
    #[error(
        "is a core WebAssembly module, not a component; build it for wasm32-wasip2 \
         (`hotsocket build` does)"
    )]
    CoreModule,
    #[error("is truncated: it is damaged, or still being written")]
    Truncated,
    #[error("is too large: at most {max} bytes are accepted (raise --max-component)")]
    TooLarge { max: usize },
    #[error("contains more than {max} modules and components")]
    TooManyParts { max: u64 },
    #[error("consists of {count} instances of modules and components; at most {max} are accepted")]
    TooManyInstances { count: u64, max: u64 },
    #[error(
        "instantiates a component that it imports or that one of its instances exports, \
         which is not supported"
    )]
    UncountableParts,
    #[error("is not a valid component: {0}")]
    Invalid(String),
    #[error(
        "is a component, but not a guest: it does not export {}{found}",
        contract::handlers()
    )]
    NoHandler { found: String },
    #[error(
        "exports {found}, but this server supports {}; build it with this server's SDK",
        contract::handlers()
    )]
    OtherVersion { found: String },
    #[error("exports {handler} without the function `{name}`")]
    MissingFunction { handler: String, name: &'static str },
    #[error(
        "exports the function `{name}` of {} with a wrong type: {detail}",
        contract::handlers()
    )]
    WrongType { name: &'static str, detail: String },
    #[error(
        "imports {name}, which this server does not provide (it provides {} and wasi@0.2)",
        contract::packages()
    )]
    UnknownImport { name: String },
    #[error("has an import that does not match this server: {0}")]
    WrongImport(String),
    #[error("cannot be loaded: the WebAssembly engine cannot start: {0}")]
    NoEngine(String),
    #[error("cannot be compiled: {0}")]
    Compile(String),
    #[error("was not compiled: that takes longer than {} (raise --compile-timeout)", human(*.time))]
    CompileTimeout { time: Duration },
    #[error("was not compiled: that takes more than {} of memory (raise --compile-memory)", size(*.limit))]
    CompileMemory { limit: u64 },
    #[error("was not compiled: the compiler ended unexpectedly: {0}")]
    CompilerEnded(String),
    #[error(
        "was not compiled: the compiler's process cannot be started: {0} (with \
         --compile-inside the server compiles itself, without a limit on memory)"
    )]
    NoCompiler(String),
    #[error("was not compiled: earlier components are still being compiled; try again later")]
    CompilerBusy,
    /// What the compiler's process says of it.
    #[error("{0}")]
    Rejected(String),
    #[error("failed its trial instantiation: {0}")]
    Trial(String),
    #[error("had no room for its trial instantiation: {0}")]
    NoRoom(String),
}

impl LoadError {
    /// Whether the same bytes may be accepted later: the machine was short of
    /// something.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            LoadError::NoEngine(_)
                | LoadError::NoRoom(_)
                | LoadError::NoCompiler(_)
                | LoadError::CompilerBusy
        )
    }
}

/// One import or export of a component, with the functions in it.
#[derive(Clone, Debug)]
pub struct Interface {
    pub name: String,
    /// Names of functions; empty for what is not an interface.
    pub functions: Vec<String>,
}

/// The imports and exports of a component.
#[derive(Clone, Debug, Default)]
pub struct Description {
    pub imports: Vec<Interface>,
    pub exports: Vec<Interface>,
}

/// Read and validate a component, without compiling it.
///
/// # Errors
/// When the bytes are not a component; the error names the likely reason.
pub fn describe(bytes: &[u8]) -> Result<Description, LoadError> {
    sniff(bytes)?;
    // What validating takes also depends on it.
    part_count::check(bytes)?;
    let mut validator = Validator::new_with_features(WasmFeatures::default());
    let types = validator.validate_all(bytes).map_err(|error| {
        // The parser has no error kind for running out of bytes.
        if error.message().contains("unexpected end") {
            LoadError::Truncated
        } else {
            LoadError::Invalid(one_line(&error.to_string()))
        }
    })?;
    let mut description = Description::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.map_err(invalid)?.name.name;
                    let ty = types.as_ref().component_item_for_import(name);
                    description.imports.push(interface(
                        types.as_ref(),
                        name,
                        ty.map(|item| item.ty),
                    ));
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = export.map_err(invalid)?.name.name;
                    let ty = types.as_ref().component_item_for_export(name);
                    description.exports.push(interface(
                        types.as_ref(),
                        name,
                        ty.map(|item| item.ty),
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(description)
}

fn invalid(error: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Invalid(one_line(&error.to_string()))
}

/// `2G`, `300M`; what is not whole in bytes.
fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{}G", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}M", bytes >> 20),
        _ => format!("{bytes} bytes"),
    }
}

/// Reject what is not a component at all, by its first bytes.
///
/// # Errors
/// Says what it is instead.
pub fn sniff(bytes: &[u8]) -> Result<(), LoadError> {
    let magic = b"\0asm";
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if !bytes.starts_with(magic) {
        let head = bytes.get(..512).unwrap_or(bytes);
        let text = !head.contains(&0)
            && str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
        return Err(match magic.starts_with(bytes) {
            true => LoadError::Truncated,
            false if text => LoadError::Text,
            false => LoadError::NotWasm,
        });
    }
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version {
            encoding: Encoding::Module,
            ..
        })) => Err(LoadError::CoreModule),
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) if bytes.len() >= 8 => Err(invalid(error)),
        _ => Err(LoadError::Truncated),
    }
}

fn interface(types: TypesRef<'_>, name: &str, ty: Option<ComponentEntityType>) -> Interface {
    let functions = match ty {
        Some(ComponentEntityType::Instance(id)) => types
            .get(id)
            .map(|instance| {
                instance
                    .exports
                    .iter()
                    .filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)))
                    .map(|(name, _)| name.clone())
                    .collect()
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    Interface {
        name: name.to_owned(),
        functions,
    }
}

impl Description {
    /// Whether the component is a guest of this server's world, as far as
    /// names go. Types are checked when it is linked.
    ///
    /// # Errors
    /// Names the first export that is missing or import that is unknown.
    pub fn check_world(&self) -> Result<(), LoadError> {
        let exported = contract::PACKAGES.iter().find_map(|package| {
            let interface = package.handler_interface()?;
            let handler = self
                .exports
                .iter()
                .find(|export| export.name == interface)?;
            Some((package, handler))
        });
        let (package, handler) = exported.ok_or_else(|| self.no_handler())?;
        has_all(handler, package.functions)?;
        for package in contract::PACKAGES {
            let interface = package.also_interface();
            let also = self
                .exports
                .iter()
                .find(|export| Some(&export.name) == interface.as_ref());
            if let Some(also) = also {
                has_all(also, package.functions)?;
            }
        }
        let unknown = |export: &&Interface| {
            is_of_contract(&export.name) && !contract::is_called(&export.name)
        };
        if let Some(other) = self.exports.iter().find(unknown) {
            return Err(LoadError::OtherVersion {
                found: one_line(&other.name),
            });
        }
        match self.imports.iter().find(|import| !is_known(&import.name)) {
            // A name that is a URL may contain anything, and line breaks.
            Some(import) => Err(LoadError::UnknownImport {
                name: one_line(&import.name),
            }),
            None => Ok(()),
        }
    }

    fn no_handler(&self) -> LoadError {
        let names = || self.exports.iter().map(|export| export.name.as_str());
        if let Some(found) = names().find(|name| is_of_contract(name)) {
            return LoadError::OtherVersion {
                found: one_line(found),
            };
        }
        let found = match names().collect::<Vec<_>>() {
            names if names.is_empty() => " (it exports nothing)".to_owned(),
            names => format!(" (it exports {})", one_line(&names.join(", "))),
        };
        LoadError::NoHandler { found }
    }
}

fn has_all(interface: &Interface, functions: &[contract::Function]) -> Result<(), LoadError> {
    for function in functions {
        if !interface.functions.iter().any(|name| name == function.name) {
            return Err(LoadError::MissingFunction {
                handler: interface.name.clone(),
                name: function.name,
            });
        }
    }
    Ok(())
}

/// Whether an interface is of a package of the contract, in any version.
fn is_of_contract(interface: &str) -> bool {
    let package = interface.split('/').next();
    let mut packages = contract::PACKAGES.iter();
    packages.any(|known| package == Some(known.name))
}

fn is_known(import: &str) -> bool {
    contract::is_import(import)
        || (import.starts_with("wasi:")
            && import
                .rsplit_once('@')
                .is_some_and(|(_, version)| version.starts_with("0.2.")))
}
