//! `hotsocket inspect`.

use std::fmt::Write;
use std::path::PathBuf;

use hotsocket_sandbox::ComponentBytes;
use hotsocket_sandbox::component::{self, Interface, LoadError};

use super::Reply;
use crate::limits::Limits;
use crate::output::escape::{json, one_line};
use crate::size;

/// Show what a component exports and imports, and which grants it can use
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Component (.wasm), or `-` for standard input
    file: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,

    /// Size of the component
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().max_component), value_parser = size::parse)]
    max_component: usize,
}

/// Why a file cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] super::component::Error),
    #[error("{} {error}", super::component::name(.path))]
    Load { path: PathBuf, error: LoadError },
    #[error("cannot print JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// WASI interfaces that are empty unless a flag of `serve` grants something.
const GRANTED_BY: [(&str, &str); 4] = [
    ("wasi:filesystem/", "files: --dir"),
    ("wasi:cli/environment", "environment variables: --env"),
    ("wasi:sockets/tcp", "network: --allow-net"),
    ("wasi:sockets/udp", "network: --allow-net"),
];

/// What is known of a file, as `--json` prints it.
#[derive(Debug, serde::Serialize)]
struct Facts {
    file: String,
    /// Whether it is a guest; else why it is none.
    guest: bool,
    problem: Option<String>,
    size: usize,
    sha256: String,
    name: Option<String>,
    language: Option<String>,
    sdk: Option<String>,
    port: Option<u16>,
    /// The settings that its sources name (`serve --set`).
    settings: Vec<String>,
    exports: Vec<Listed>,
    imports: Vec<Listed>,
    /// The flags of `serve` that grant what it can use.
    grants: Vec<&'static str>,
}

#[derive(Debug, serde::Serialize)]
struct Listed {
    name: String,
    functions: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<Reply, Error> {
    let facts = facts(args)?;
    Ok(match args.json {
        true => format!("{}\n", json(&serde_json::to_value(&facts)?)).into(),
        false => show(&facts).into(),
    })
}

fn facts(args: &Args) -> Result<Facts, Error> {
    let file = ComponentBytes::new(super::component::read(&args.file, args.max_component)?);
    let bytes = file.bytes();
    let description = component::describe(bytes).map_err(|error| Error::Load {
        path: args.file.clone(),
        error,
    })?;
    let problem = description.check_world().err();
    let section = crate::build::section(bytes);
    let listed = |interfaces: &[Interface]| {
        let each = interfaces.iter().map(|interface| Listed {
            name: interface.name.clone(),
            functions: interface.functions.clone(),
        });
        each.collect()
    };
    let can_use = |interface: &str| {
        let mut imports = description.imports.iter();
        imports.any(|import| import.name.starts_with(interface))
    };
    let grants = GRANTED_BY
        .iter()
        .filter(|(interface, _)| can_use(interface));
    let mut grants: Vec<_> = grants.map(|(_, flag)| *flag).collect();
    grants.dedup();
    Ok(Facts {
        file: super::component::name(&args.file),
        guest: problem.is_none(),
        problem: problem.map(|problem| problem.to_string()),
        size: bytes.len(),
        sha256: file.hash().to_string(),
        port: section.as_ref().and_then(|section| section.port),
        settings: section
            .as_ref()
            .map(|section| section.settings.clone())
            .unwrap_or_default(),
        sdk: section.as_ref().and_then(|section| section.sdk.clone()),
        language: section.as_ref().map(|section| section.language.clone()),
        name: section.map(|section| section.name),
        exports: listed(&description.exports),
        imports: listed(&description.imports),
        grants,
    })
}

fn show(facts: &Facts) -> String {
    let mut text = String::new();
    let verdict = facts.problem.as_deref().unwrap_or("is a hotsocket guest");
    let _ = writeln!(text, "{} {verdict}", facts.file);
    let _ = writeln!(text, "size     {} bytes", facts.size);
    let _ = writeln!(text, "sha256   {}", facts.sha256);
    if let Some(name) = &facts.name {
        let _ = writeln!(text, "name     {}", one_line(name));
    }
    if let Some(language) = &facts.language {
        let sdk = facts.sdk.as_ref();
        let sdk = sdk.map_or_else(String::new, |sdk| format!(", hotsocket SDK {sdk}"));
        let _ = writeln!(text, "language {}", one_line(&format!("{language}{sdk}")));
    }
    if let Some(port) = facts.port {
        let _ = writeln!(
            text,
            "port     {port} (on 127.0.0.1, unless --listen is given)"
        );
    }
    if !facts.settings.is_empty() {
        let names = one_line(&facts.settings.join(", ")).into_owned();
        let _ = writeln!(
            text,
            "settings {names} (that its sources name; --set NAME=VALUE)"
        );
    }
    list(&mut text, "exports", &facts.exports);
    list(&mut text, "imports", &facts.imports);
    let grants = match facts.grants.as_slice() {
        [] => "nothing".to_owned(),
        flags => format!(
            "{} (optional: without them the guest finds nothing there)",
            flags.join("; ")
        ),
    };
    let _ = writeln!(text, "grants   {grants}");
    text
}

fn list(text: &mut String, title: &str, interfaces: &[Listed]) {
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
