//! The types and export accessors that wasmtime generates from `wit/`.
//!
//! Nothing is written by hand here, and nothing outside this crate names it.
//! The imports are linked by hand in [`super::imports`], because a generated
//! `write` would copy each list once more.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "guest",
    exports: { default: async },
    require_store_data_send: true,
});

/// The types of `wasi:keyvalue` and `hotsocket:store`.
pub mod store {
    wasmtime::component::bindgen!({
        path: ["../../wit/keyvalue", "../../wit/store"],
        world: "hotsocket:store/imports",
        require_store_data_send: true,
        with: {
            "wasi:keyvalue/store.bucket": crate::key_value::handles::Bucket,
            "wasi:keyvalue/atomics.cas": crate::key_value::handles::Cas,
        },
    });
}

/// The types of `hotsocket:topics`.
pub mod topics {
    wasmtime::component::bindgen!({
        path: "../../wit/topics",
        world: "imports",
        require_store_data_send: true,
    });
}

/// The types of `hotsocket:tls`.
pub mod tls {
    wasmtime::component::bindgen!({
        path: "../../wit/tls",
        world: "imports",
        require_store_data_send: true,
    });
}

/// The types of `hotsocket:peer`.
pub mod peer {
    wasmtime::component::bindgen!({
        path: "../../wit/peer",
        world: "imports",
        require_store_data_send: true,
    });
}
