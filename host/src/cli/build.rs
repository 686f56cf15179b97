//! `hotsocket build`.

use std::path::PathBuf;

use crate::build::{self, Request};

/// Compile a guest from its source
///
/// DIR is a package with a Cargo.toml or a package.json, or has a server.js, a
/// handler.py or the like, or one source file. FILE is a guest in one file: Rust (.rs), JavaScript or TypeScript for Node's net (.js, .mjs, .cjs,
/// .ts, .mts), Python (.py) or C (.c). Rust needs rustup's target wasm32-wasip2
/// or Debian's packages. JavaScript needs Node and npm, Python needs Python 3.9:
/// the first build installs packages into the user's cache. C needs clang and
/// wasi-libc.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of a package or with a source, or source file
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    source: PathBuf,

    /// Write the component to this file [default: next to the source, named after the guest]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<String, build::Error> {
    let begun = std::time::Instant::now();
    let built = build::build(&Request {
        source: args.source.clone(),
        output: args.output.clone(),
    })?;
    // Where the component may have gone to standard output, only it goes there.
    Ok(match built.is_file {
        false => String::new(),
        true => format!(
            "built {} ({:.1} KB) in {:.1} s with {}\n",
            built.output.display(),
            built.size as f64 / 1000.0,
            begun.elapsed().as_secs_f64(),
            built.toolchain
        ),
    })
}
