//! Checks component bytes before anything is compiled: whether they are
//! a guest, something else, or truncated. Errors tell the author what to do.

use std::time::Duration;

use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::TypesRef;
use wasmparser::{Chunk, Encoding, Parser, Payload, Validator, WasmFeatures};

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

/// What decides how a component is linked and called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imports {
    /// An interface of WASI that `hotsocket-wasi` links.
    pub wasi: bool,
    /// The store.
    pub key_value: bool,
    /// TLS that the guest begins.
    pub start_tls: bool,
}

impl Imports {
    /// Of the component; of none if it cannot be parsed.
    pub fn of(bytes: &[u8]) -> Self {
        let mut imports = Imports::default();
        for_each_import(bytes, |name| {
            let is_store = name.starts_with("wasi:keyvalue/");
            imports.key_value |= is_store;
            imports.start_tls |= name.starts_with("hotsocket:tls/");
            imports.wasi |= name.starts_with("wasi:") && !is_store;
        });
        imports
    }
}

/// Passes over what is nested in the component, as that may be in one another so often that
/// only to remember where would take gigabytes.
fn for_each_import(bytes: &[u8], mut note: impl FnMut(&str)) {
    let mut parser = Parser::new(0);
    let mut left = bytes;
    while let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(left, true) {
        let mut passed = consumed;
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => passed = passed.saturating_add(unchecked_range.len()),
            Payload::ComponentImportSection(section) => {
                let names = section.into_iter().flatten();
                names.for_each(|import| note(import.name.name));
            }
            Payload::End(_) => return,
            _ => {}
        }
        let Some(rest) = left.get(passed..) else {
            return;
        };
        left = rest;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_component_itself_imports_counts() {
        let component = r#"(component
            (component (import "wasi:cli/stdout@0.2.0" (instance)))
            (core module (import "wasi:x" "y" (func)))
            (import "hotsocket:tls/start@0.1.0" (instance))
            (component (component (import "wasi:keyvalue/store@0.2.0" (instance)))))"#;
        let imports = Imports::of(&wat::parse_str(component).expect("a component"));
        assert!(imports.start_tls && !imports.wasi && !imports.key_value);
    }

    /// It would take the parser 100 bytes for each of them to remember where it is.
    #[test]
    fn what_is_nested_is_passed_over_however_deep() {
        // From the end on, as each has its length before it.
        let header = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
        let import = wat::parse_str("(component (import \"wasi:a/b@0.2.0\" (instance)))");
        let mut reversed: Vec<u8> = import.expect("a component")[header.len()..].to_vec();
        reversed.reverse();
        for level in 0..200_000 {
            if level > 0 {
                let mut length = Vec::new();
                let mut left = reversed.len();
                while left >= 0x80 {
                    length.push((left & 0x7f) as u8 | 0x80);
                    left >>= 7;
                }
                length.push(left as u8);
                reversed.extend(length.iter().rev());
                reversed.push(4);
            }
            reversed.extend(header.iter().rev());
        }
        reversed.reverse();
        assert!(
            !Imports::of(&reversed).wasi,
            "only the innermost imports it"
        );
    }
}
