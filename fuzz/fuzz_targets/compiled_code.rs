//! Files of compiled code, and the answers of the process that compiles.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hotsocket_sandbox::fuzzing::compiled_code(bytes);
});
