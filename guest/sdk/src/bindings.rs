//! What `wit-bindgen` generates from the contract, and nothing else. Only
//! `sys` (imports) and `glue` (exports) look in here.
//!
//! The path is relative to this package: it keeps its place beside `wit/`
//! wherever it is copied.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "guest",
    pub_export_macro: true,
    export_macro_name: "export_bindings",
    default_bindings_module: "hotsocket_guest::bindings",
});

/// `hotsocket:environment`, which a guest imports only if it calls something of it.
pub mod environment {
    wit_bindgen::generate!({
        path: "../../wit/environment",
        world: "imports",
    });
}

/// `hotsocket:session`, which a guest imports only if it calls something of it.
pub mod session {
    wit_bindgen::generate!({
        path: "../../wit/session",
        world: "imports",
    });
}
