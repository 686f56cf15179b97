//! `hotsocket build`.

use std::path::PathBuf;

use crate::build::{self, Request};

/// Compile a guest from its source
///
/// DIR is a package with a Cargo.toml, or a script's with a package.json; FILE
/// is a whole guest in one file: Rust (.rs), a script for Node's net (.js, .mjs,
/// .cjs), Python (.py) or C (.c). Rust uses rustup's target wasm32-wasip2, or
/// Debian's packages where rustup has no such target; a script uses packages
/// that npm installs into the user's cache, once, and Python componentize-py
/// likewise; C needs clang and wasi-libc.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A package's directory, or one source file
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    source: PathBuf,

    /// Where the component goes [default: beside the source, with the name of the guest]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<String, build::Error> {
    let begun = std::time::Instant::now();
    let built = build::build(&Request {
        source: args.source.clone(),
        output: args.output.clone(),
    })?;
    Ok(format!(
        "built {} ({:.1} KB) in {:.1} s with {}\n",
        built.output.display(),
        built.size as f64 / 1000.0,
        begun.elapsed().as_secs_f64(),
        built.toolchain
    ))
}
