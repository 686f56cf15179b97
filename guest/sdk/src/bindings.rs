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

/// `hotsocket:topics`, which a guest imports only if it calls something of it.
pub mod topics {
    wit_bindgen::generate!({
        path: "../../wit/topics",
        world: "imports",
    });
}

/// `wasi:keyvalue` and `hotsocket:store`, of which a guest imports what it calls.
pub mod store {
    wit_bindgen::generate!({
        path: ["../../wit/keyvalue", "../../wit/store"],
        world: "hotsocket:store/imports",
        // Lists of keys are passed as they are borrowed.
        ownership: Borrowing { duplicate_if_necessary: false },
        generate_all,
    });
}

/// `hotsocket:environment`, which a guest imports only if it calls something of it.
pub mod environment {
    wit_bindgen::generate!({
        path: "../../wit/environment",
        world: "imports",
    });
}

/// `hotsocket:peer`, which a guest imports only if it calls something of it.
pub mod peer {
    wit_bindgen::generate!({
        path: "../../wit/peer",
        world: "imports",
    });
}

/// `hotsocket:tls`, which a guest imports only if it calls something of it.
pub mod tls {
    wit_bindgen::generate!({
        path: "../../wit/tls",
        world: "imports",
    });
}

/// What a guest exports to be called with messages.
pub mod subscriber {
    wit_bindgen::generate!({
        path: "../../wit/topics",
        world: "exports",
        pub_export_macro: true,
        export_macro_name: "export_subscriber",
        default_bindings_module: "hotsocket_guest::bindings::subscriber",
    });
}

/// `hotsocket:session`, which a guest imports only if it calls something of it.
pub mod session {
    wit_bindgen::generate!({
        path: "../../wit/session",
        world: "imports",
    });
}
