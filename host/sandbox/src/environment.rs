//! The functions that a guest imports from `hotsocket:environment`, and what the
//! instances of a service share for them: settings and the source of random bytes.
//!
//! The clock is the one of WASI ([`crate::wasi`]); lines go to [`crate::guest_output`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rand_core::TryRng;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, WasmList, WasmStr};

use crate::bounded_text::BoundedText;
use crate::guest_output::{FieldValue, GuestRecord, truncate};
use crate::store_data::StoreData;
use crate::wasi::SessionClock;

/// Random bytes that a guest may ask for in one call: the host has a copy of them.
const MAX_RANDOM: usize = 64 << 10;
/// Settings of a service.
pub const MAX_SETTINGS: usize = 256;
/// The longest name of a setting, in bytes.
pub const MAX_SETTING_NAME: usize = 128;
/// The longest value of a setting, in bytes.
pub const MAX_SETTING_VALUE: usize = 64 << 10;
/// Fields of one line; those that follow are left out.
const MAX_FIELDS: usize = 32;
/// The longest name of a field that is kept, in bytes.
const MAX_FIELD_NAME: usize = 64;

/// What guests get from `setting`: names and values, each within its limit.
#[derive(Clone, Debug, Default)]
pub struct Settings(BTreeMap<String, String>);

/// Why a setting cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("the name of a setting has from 1 to {MAX_SETTING_NAME} bytes and no `=`")]
    Name,
    #[error("the value of a setting has at most {MAX_SETTING_VALUE} bytes")]
    Value,
    #[error("a server has at most {MAX_SETTINGS} settings")]
    TooMany,
}

impl Settings {
    /// Set it; a second value for a name takes the place of the first.
    ///
    /// # Errors
    /// When it is out of its limits.
    pub fn set(&mut self, name: String, value: String) -> Result<(), SettingError> {
        check_setting(&name, &value)?;
        if self.0.len() >= MAX_SETTINGS && !self.0.contains_key(&name) {
            return Err(SettingError::TooMany);
        }
        self.0.insert(name, value);
        Ok(())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Whether a setting is within its limits.
///
/// # Errors
/// When it is not.
pub fn check_setting(name: &str, value: &str) -> Result<(), SettingError> {
    if name.is_empty() || name.len() > MAX_SETTING_NAME || name.contains('=') {
        return Err(SettingError::Name);
    }
    match value.len() > MAX_SETTING_VALUE {
        true => Err(SettingError::Value),
        false => Ok(()),
    }
}

/// What the instances of a service share.
#[derive(Debug, Default)]
pub struct Environment {
    /// Behind a lock because a script of `hotsocket test` sets them as it goes.
    settings: RwLock<Settings>,
    random: Random,
}

/// Where random bytes come from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Random {
    #[default]
    System,
    /// The state of a generator whose bytes are the same in every run, for tests.
    Reproducible(Arc<Mutex<u64>>),
}

impl Environment {
    /// For a server.
    pub fn new(settings: Settings) -> Self {
        Environment {
            settings: RwLock::new(settings),
            random: Random::System,
        }
    }

    /// For tests: random bytes are the same in every run, from [`Self::restart`] on.
    pub fn reproducible() -> Self {
        Environment {
            random: Random::Reproducible(Arc::default()),
            ..Environment::default()
        }
    }

    /// Begin with these settings and, if it is reproducible, with the first random byte.
    pub fn restart(&self, settings: Settings) {
        *self.settings.write() = settings;
        if let Random::Reproducible(state) = &self.random {
            *state.lock() = 0;
        }
    }

    /// Set one setting.
    ///
    /// # Errors
    /// When it is out of its limits.
    pub fn set(&self, name: &str, value: &str) -> Result<(), SettingError> {
        let mut settings = self.settings.write();
        settings.set(name.to_owned(), value.to_owned())
    }

    /// The names of what is set.
    pub fn names(&self) -> Vec<String> {
        self.settings.read().names().map(str::to_owned).collect()
    }

    /// The same source for what asks WASI.
    pub(crate) fn random(&self) -> &Random {
        &self.random
    }
}

impl Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        match self {
            Random::System => getrandom::fill(bytes),
            Random::Reproducible(state) => {
                let mut state = state.lock();
                for chunk in bytes.chunks_mut(8) {
                    let next = split_mix(&mut state).to_le_bytes();
                    for (byte, next) in chunk.iter_mut().zip(next) {
                        *byte = next;
                    }
                }
                Ok(())
            }
        }
    }
}

/// The generator SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The generator of tests, as WASI takes it.
pub(crate) struct ReproducibleRng(pub(crate) Arc<Mutex<u64>>);

impl TryRng for ReproducibleRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.try_next_u64()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(split_mix(&mut self.0.lock()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        // This source does not fail.
        let _ = Random::Reproducible(Arc::clone(&self.0)).fill(bytes);
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(enum)]
#[expect(dead_code, reason = "made from a number, by what is derived")]
#[repr(u8)]
enum LogLevel {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Level {
        match level {
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Info => Level::INFO,
            LogLevel::Warn => Level::WARN,
            LogLevel::Error => Level::ERROR,
        }
    }
}

#[derive(ComponentType, Lift)]
#[component(variant)]
enum Value {
    #[component(name = "text")]
    Text(BoundedText<WasmStr>),
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "number")]
    Number(f64),
    #[component(name = "boolean")]
    Boolean(bool),
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Field {
    #[component(name = "name")]
    name: BoundedText<WasmStr, MAX_FIELD_NAME>,
    #[component(name = "value")]
    value: Value,
}

/// Link the functions.
pub fn link(environment: &mut LinkerInstance<'_, StoreData>) -> wasmtime::Result<()> {
    environment.func_wrap("now", |_: StoreContextMut<StoreData>, (): ()| {
        Ok((nanoseconds(SessionClock.since_1970().as_nanos()),))
    })?;
    environment.func_wrap("uptime", |_: StoreContextMut<StoreData>, (): ()| {
        Ok((nanoseconds(SessionClock.since_start().as_nanos()),))
    })?;
    environment.func_wrap(
        "random",
        |store: StoreContextMut<StoreData>, (count,): (u32,)| {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if count > MAX_RANDOM {
                let most = "hotsocket:environment gives 64 KiB of random bytes a call";
                return Err(wasmtime::Error::msg(most));
            }
            let mut bytes = vec![0; count];
            let filled = store.data().environment().random.fill(&mut bytes);
            match filled {
                Ok(()) => Ok((bytes,)),
                Err(error) => Err(wasmtime::Error::msg(format!("no random bytes: {error}"))),
            }
        },
    )?;
    environment.func_wrap(
        "setting",
        |store: StoreContextMut<StoreData>, (name,): (BoundedText<WasmStr>,)| {
            let name = name.text.to_str(&store)?;
            let settings = store.data().environment().settings.read();
            Ok((settings.0.get(&*name).cloned(),))
        },
    )?;
    environment.func_wrap("log", log)
}

/// Until the year 2554.
fn nanoseconds(time: u128) -> u64 {
    u64::try_from(time).unwrap_or(u64::MAX)
}

type Line = (LogLevel, BoundedText<WasmStr>, WasmList<Field>);

fn log(
    mut store: StoreContextMut<StoreData>,
    (level, message, fields): Line,
) -> wasmtime::Result<()> {
    let level = Level::from(level);
    // To look at text takes the host long.
    if level > LevelFilter::current() || store.data().output.is_muted() {
        return Ok(());
    }
    let listed = fields.iter(&mut store)?.take(MAX_FIELDS);
    let listed = listed.collect::<wasmtime::Result<Vec<_>>>()?;
    let output = &store.data().output;
    let mut room = Room {
        left: output.max_line,
        is_cut: fields.len() > MAX_FIELDS,
    };
    let message = room.text(&store, &message, usize::MAX)?;
    let mut kept = Vec::with_capacity(listed.len());
    for Field { name, value } in listed {
        let name = room.text(&store, &name, MAX_FIELD_NAME)?;
        let value = match value {
            Value::Text(text) => FieldValue::Text(room.text(&store, &text, usize::MAX)?),
            Value::Integer(integer) => FieldValue::Integer(integer),
            Value::Number(number) => FieldValue::Number(number),
            Value::Boolean(boolean) => FieldValue::Boolean(boolean),
        };
        kept.push((name, value));
    }
    if room.is_cut {
        output.warn_of_long_line();
    }
    output.log(&GuestRecord {
        level,
        message,
        fields: kept,
    });
    Ok(())
}

/// What a line may still have.
struct Room {
    left: usize,
    is_cut: bool,
}

impl Room {
    /// The beginning of a text, of at most so many bytes, for which there is room.
    fn text<const MAX: usize>(
        &mut self,
        store: &StoreContextMut<StoreData>,
        text: &BoundedText<WasmStr, MAX>,
        most: usize,
    ) -> wasmtime::Result<String> {
        if self.left == 0 {
            self.is_cut = true;
            return Ok(String::new());
        }
        let whole = text.text.to_str(store)?;
        let part = truncate(whole.as_bytes(), self.left.min(most));
        self.is_cut |= text.is_cut || part.len() < whole.len();
        self.left -= part.len();
        Ok(String::from_utf8_lossy(part).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_bounded() {
        let mut settings = Settings::default();
        let mut set = |name: &str, value: &str| settings.set(name.to_owned(), value.to_owned());
        assert_eq!(set("", "x"), Err(SettingError::Name));
        assert_eq!(set("a=b", "x"), Err(SettingError::Name));
        assert_eq!(set(&"n".repeat(129), "x"), Err(SettingError::Name));
        assert_eq!(set("a", &"v".repeat(65_537)), Err(SettingError::Value));
        for n in 0..MAX_SETTINGS {
            assert_eq!(set(&n.to_string(), ""), Ok(()));
        }
        assert_eq!(set("one more", ""), Err(SettingError::TooMany));
        assert_eq!(set("0", "another value"), Ok(()));
    }

    #[test]
    fn reproducible_bytes_are_the_same_after_a_restart() {
        let environment = Environment::reproducible();
        let bytes = || {
            let mut bytes = [0; 13];
            environment.random.fill(&mut bytes).expect("bytes");
            bytes
        };
        let (first, second) = (bytes(), bytes());
        assert_ne!(first, second);
        environment.restart(Settings::default());
        assert_eq!((bytes(), bytes()), (first, second));
    }
}
