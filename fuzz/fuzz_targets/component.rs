//! Component bytes through the whole load path: the checks before compiling here,
//! and what passes them in a process of its own, as a server does it. `HOTSOCKET`
//! names the program that compiles; without it, nothing is compiled.
#![no_main]

use std::sync::{Arc, OnceLock};

use hotsocket::limits::Limits;
use hotsocket::output::{GuestLines, Output};
use hotsocket_sandbox::{
    COMPILE_CHILD, CodeCacheDir, Compiler, ComponentBytes, EnginePool, Environment, Grants, LoadError, Sandbox,
};

/// A sandbox that compiles with the given program.
fn sandbox() -> Option<&'static Sandbox> {
    static SANDBOX: OnceLock<Option<Sandbox>> = OnceLock::new();
    let made = SANDBOX.get_or_init(|| {
        let compiler = Compiler::Child {
            program: std::env::var_os("HOTSOCKET")?.into(),
            args: vec![COMPILE_CHILD.into()],
        };
        let limits = Limits {
            max_connections: 1,
            ..Limits::default()
        };
        let (out, error) = (std::io::sink(), std::io::sink());
        let output = Output::to(out, error, (false, false), GuestLines::Plain);
        let pool = EnginePool::new(
            limits.pool(),
            &CodeCacheDir::None,
            compiler,
            hotsocket_wasi::link,
        );
        Some(Sandbox::new(
            Arc::new(pool.expect("an engine")),
            limits.sandbox(),
            Grants::default(),
            Environment::default(),
            output.expect("threads"),
        ))
    });
    made.as_ref()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if !hotsocket_sandbox::fuzzing::component(bytes) {
        return;
    }
    let Some(sandbox) = sandbox() else { return };
    let compiled = sandbox.compile(&ComponentBytes::new(bytes.to_vec()));
    if let Err(error) = compiled.map(|_| ()) {
        let broken = matches!(
            error,
            LoadError::CompilerEnded(_)
                | LoadError::NoCompiler(_)
                | LoadError::NoEngine(_)
                | LoadError::Rejected(_)
        );
        assert!(!broken, "{error}");
    }
});
