//! `hotsocket test`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::{CodeCacheDir, Settings as GuestSettings};

use super::flags::CompileFlags;
use super::{Reply, print_result, wrong_usage};
use crate::conversation::{
    self, Environment, EnvironmentError, Failure, Script, Settings, Success,
};
use crate::duration;
use crate::limits::{Limits, OnTrap};

/// Test a guest with scripted conversations
///
/// A script is a text file with one step per line: send "hello\n", expect
/// "1: hello\n", end, expect end, swap, wait 10s, print "a line"… The guest
/// runs as in a server, but without a network, and waiting takes no time: the
/// clock jumps. docs/testing.md describes the format.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Component (.wasm), or source for `hotsocket build`
    guest: PathBuf,

    /// Scripts, each with one conversation
    #[arg(required = true)]
    script: Vec<PathBuf>,

    /// Time that a step waits for what it expects, on the script's clock
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration::parse)]
    timeout: Duration,

    /// Time that a script may take, on the wall clock
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    time_limit: Duration,

    /// What happens to a connection whose instance has trapped
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Limits::default().on_trap)]
    on_trap: OnTrap,

    /// Save and drop the instance of a connection that is idle for this long, until its next event [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    hibernate_after: Option<Duration>,

    /// Give guests a setting, as NAME=VALUE, or as NAME with the value of that environment variable; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::parse::setting)]
    set: Vec<(String, String)>,

    /// Directory for compiled code [default: in the user's cache directory]
    #[arg(long, value_name = "DIR|none", value_parser = super::parse::code_cache)]
    code_cache: Option<CodeCacheDir>,

    #[command(flatten)]
    compile: CompileFlags,
}

pub fn run(mut args: Args) -> ExitCode {
    let scripts: Result<Vec<_>, _> = args.script.iter().map(|path| Script::read(path)).collect();
    let scripts = match scripts {
        Ok(scripts) => scripts,
        Err(error) => return wrong_usage(error),
    };
    let limits = Limits {
        on_trap: args.on_trap,
        hibernate_after: args.hibernate_after,
        compile_timeout: args.compile.compile_timeout,
        compile_memory: args.compile.compile_memory,
        ..Limits::default()
    };
    if let Err(error) = limits.validate() {
        return wrong_usage(error);
    }
    let settings = match super::flags::settings(std::mem::take(&mut args.set)) {
        Ok(settings) => settings,
        Err(error) => return wrong_usage(error),
    };
    print_result(run_scripts(args, limits, settings, &scripts))
}

fn run_scripts(
    args: Args,
    limits: Limits,
    guest_settings: GuestSettings,
    scripts: &[Script],
) -> Result<Reply, EnvironmentError> {
    let environment = Arc::new(Environment::new(Settings {
        timeout: args.timeout,
        limits,
        compiler: args.compile.compiler(),
        guest_settings,
        code_cache: args.code_cache.unwrap_or_default(),
    })?);
    let guest = environment.load(&args.guest)?;
    let mut others = BTreeMap::new();
    for path in scripts.iter().flat_map(Script::guests) {
        if !others.contains_key(&path) {
            others.insert(path.clone(), environment.load(&path)?);
        }
    }
    let others = Arc::new(others);
    let mut failures = 0;
    let mut text = String::new();
    for script in scripts {
        let result = conversation::run(&environment, script, &guest, &others, args.time_limit);
        failures += usize::from(result.is_err());
        text.push_str(&describe(script, result));
    }
    if failures > 0 && scripts.len() > 1 {
        text.push_str(&format!(
            "{failures} of {} conversations failed\n",
            scripts.len()
        ));
    }
    Ok(Reply {
        text,
        failure: failures > 0,
    })
}

fn describe(script: &Script, result: Result<Success, Failure>) -> String {
    let path = script.path.display();
    match result {
        Ok(success) => {
            let count = |count: usize, of: &str| match count {
                1 => format!("1 {of}"),
                _ => format!("{count} {of}s"),
            };
            format!(
                "ok      {path}  {}, {}, {} ms\n",
                count(success.steps, "step"),
                count(success.swaps, "swap"),
                success.took.as_millis()
            )
        }
        Err(failure) => {
            let details = failure.details.iter();
            let details: String = details.map(|line| format!("        {line}\n")).collect();
            format!(
                "failed  {path}:{}: {}\n{details}",
                failure.line, failure.message
            )
        }
    }
}
