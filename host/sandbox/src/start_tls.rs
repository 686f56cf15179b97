//! The functions of `hotsocket:tls`: a guest asks for TLS on a connection that has begun in
//! plain text. They record it as an effect; the session does the handshake when the event
//! has succeeded.

use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

use crate::bindings::tls::hotsocket::tls::upgrade::StartTlsError;
use crate::store_data::StoreData;

/// Link the functions.
pub fn link(upgrade: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    upgrade.func_wrap(
        "can-start-tls",
        |store: StoreContextMut<StoreData>, (): ()| Ok((check(store.data()).is_ok(),)),
    )?;
    upgrade.func_wrap(
        "start-tls",
        |mut store: StoreContextMut<StoreData>, (): ()| {
            let checked = check(store.data());
            if checked.is_ok() {
                let requests = &mut store.data_mut().effects.session;
                requests.get_or_insert_default().start_tls = Some(Vec::new());
            }
            Ok((checked,))
        },
    )
}

/// Whether TLS may begin when this event is over.
fn check(data: &StoreData) -> Result<(), StartTlsError> {
    let connection = data.connection.as_ref();
    let facts = connection.and_then(|connection| connection.facts.as_deref());
    let facts = facts.ok_or(StartTlsError::Unavailable)?;
    let (window, effects) = (&data.window, &data.effects);
    if facts.tls.is_some() {
        return Err(StartTlsError::AlreadySecure);
    }
    if !facts.may_start_tls {
        return Err(StartTlsError::Unavailable);
    }
    if window.awaits_tls || effects.starts_tls() {
        return Err(StartTlsError::Pending);
    }
    match window.writable && !effects.end && !effects.abort && effects.failed.is_none() {
        true => Ok(()),
        false => Err(StartTlsError::Closed),
    }
}
