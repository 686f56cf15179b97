//! `hotsocket inspect`.

use std::fmt::Write;
use std::path::PathBuf;

use hotsocket_sandbox::ComponentBytes;
use hotsocket_sandbox::component::{self, Interface, LoadError};

use crate::limits::Limits;
use crate::output::escape::one_line;
use crate::size;

/// Show what a component exports and imports, and which grants it can use
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Component (.wasm)
    file: PathBuf,

    /// Size of the component
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_component), value_parser = size::parse)]
    max_component: usize,
}

/// Why a file cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] super::component::Error),
    #[error("{} {error}", .path.display())]
    Load { path: PathBuf, error: LoadError },
}

/// WASI interfaces that are empty unless a flag of `serve` grants something.
const GRANTED_BY: [(&str, &str); 4] = [
    ("wasi:filesystem/", "files: --dir"),
    ("wasi:cli/environment", "environment variables: --env"),
    ("wasi:sockets/tcp", "network: --allow-net"),
    ("wasi:sockets/udp", "network: --allow-net"),
];

pub fn run(args: &Args) -> Result<String, Error> {
    let file = ComponentBytes::new(super::component::read(&args.file, args.max_component)?);
    let bytes = file.bytes();
    let description = component::describe(bytes).map_err(|error| Error::Load {
        path: args.file.clone(),
        error,
    })?;
    let mut text = String::new();
    let verdict = match description.check_world() {
        Ok(()) => "is a hotsocket guest".to_owned(),
        Err(error) => format!("{error}"),
    };
    let _ = writeln!(text, "{} {verdict}", args.file.display());
    let _ = writeln!(text, "size     {} bytes", bytes.len());
    let _ = writeln!(text, "sha256   {}", file.hash());
    if let Some(section) = crate::build::section(bytes) {
        let _ = writeln!(text, "name     {}", one_line(&section.name));
        let sdk = section
            .sdk
            .map_or_else(String::new, |sdk| format!(", hotsocket SDK {sdk}"));
        let language = format!("{}{sdk}", section.language);
        let _ = writeln!(text, "language {}", one_line(&language));
        if let Some(port) = section.port {
            let _ = writeln!(
                text,
                "port     {port} (on 127.0.0.1, unless --listen is given)"
            );
        }
    }
    list(&mut text, "exports", &description.exports);
    list(&mut text, "imports", &description.imports);
    let mut needed: Vec<_> = GRANTED_BY
        .iter()
        .filter(|(interface, _)| {
            description
                .imports
                .iter()
                .any(|import| import.name.starts_with(interface))
        })
        .map(|(_, flag)| *flag)
        .collect();
    needed.dedup();
    let needed = match needed.as_slice() {
        [] => "nothing".to_owned(),
        flags => format!(
            "{} (optional: without them the guest finds nothing there)",
            flags.join("; ")
        ),
    };
    let _ = writeln!(text, "grants   {needed}");
    Ok(text)
}

fn list(text: &mut String, title: &str, interfaces: &[Interface]) {
    if interfaces.is_empty() {
        let _ = writeln!(text, "{title}  nothing");
    }
    for (at, interface) in interfaces.iter().enumerate() {
        let title = if at == 0 { title } else { "" };
        let _ = writeln!(text, "{title:<8} {}", one_line(&interface.name));
        // WASI's functions are many, and documented elsewhere.
        if !interface.functions.is_empty()
            && (component::is_handler(&interface.name) || !interface.name.starts_with("wasi:"))
        {
            let _ = writeln!(text, "{:<8}   {}", "", interface.functions.join(", "));
        }
    }
}
