//! Snapshots made of a type, with a check that the reader means the same type.
//!
//! ```
//! use hotsocket_guest::{Connection, Handler, Snapshot, export, state};
//!
//! state! {
//!     #[derive(Default)]
//!     pub struct Session {
//!         name: Option<String>,
//!         bytes: u64,
//!     }
//! }
//!
//! impl Handler for Session {
//!     fn data(&mut self, conn: &Connection, bytes: &[u8]) {
//!         self.bytes += bytes.len() as u64;
//!         conn.write(format!("{} bytes\n", self.bytes));
//!     }
//!
//!     fn save(&self) -> Option<Snapshot> {
//!         Some(Snapshot::of(1, self))
//!     }
//!
//!     fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
//!         *self = snapshot.read()?;
//!         Ok(())
//!     }
//! }
//!
//! export!(Session);
//! ```
//!
//! In the snapshot a hash of the type's names and types of fields, in their
//! order, stands before the values. So code with other fields, or with the same
//! ones in another order, cannot take one value for another: `read` returns an
//! error, and the connection stays with the code that understands its state.
//!
//! # New fields
//! Keep the old type under another name, and read it by its version; the names of
//! types are not part of the hash.
//!
//! ```
//! use hotsocket_guest::{Snapshot, state};
//!
//! state! {
//!     struct Version1 { bytes: u64 }
//!     #[derive(Debug, PartialEq)]
//!     struct Session { bytes: u64, lines: u64 }
//! }
//!
//! fn restored(snapshot: &Snapshot) -> Result<Session, String> {
//!     match snapshot.version {
//!         1 => snapshot.read().map(|Version1 { bytes }| Session { bytes, lines: 0 }),
//!         _ => snapshot.read(),
//!     }
//! }
//!
//! let old = Snapshot::of(1, &Version1 { bytes: 7 });
//! assert_eq!(restored(&old), Ok(Session { bytes: 7, lines: 0 }));
//! ```

pub use postcard_schema::{self, Schema};
pub use serde::{self, Deserialize, Serialize, de::DeserializeOwned};

use crate::Snapshot;
use postcard_schema::key::hash::fnv1a64::hash_ty_path;

/// Make types that snapshots can be made of: structs and enums, of numbers, text,
/// collections and other such types. It derives serde's `Serialize` and
/// `Deserialize`, and `postcard_schema`'s `Schema`; serde's attributes work, but
/// none that changes the number or order of fields (`skip`, `flatten`).
#[macro_export]
macro_rules! state {
    ($($item:item)+) => {$(
        #[derive($crate::state::Serialize, $crate::state::Deserialize, $crate::state::Schema)]
        #[serde(crate = "hotsocket_guest::state::serde")]
        #[postcard(crate = hotsocket_guest::state::postcard_schema)]
        $item
    )+};
}

/// Eight bytes that are others for each list of fields.
fn hash<T: Schema>() -> [u8; 8] {
    hash_ty_path::<T>("")
}

impl Snapshot {
    /// The state of a connection as a value of a type from [`state!`](crate::state!).
    ///
    /// # Panics
    /// The type has a `Serialize` of its own that fails.
    #[must_use]
    pub fn of<T: Serialize + Schema>(version: u32, state: &T) -> Self {
        match postcard::to_extend(state, hash::<T>().to_vec()) {
            Ok(bytes) => Self::new(version, bytes),
            Err(error) => panic!("the state cannot be saved: {error}"),
        }
    }

    /// The value that [`Snapshot::of`] was given.
    ///
    /// # Errors
    /// It was of a type with other fields, or was written by hand. Returned from
    /// [`restore`](crate::Handler::restore), it leaves the connection with the
    /// code that understands it.
    pub fn read<T: DeserializeOwned + Schema>(&self) -> Result<T, String> {
        let (version, name) = (self.version, T::SCHEMA.name);
        let Some(values) = self.state.strip_prefix(&hash::<T>()) else {
            return Err(format!(
                "the snapshot, of version {version}, has other fields than `{name}`: keep the \
                 type that it was made of, and read that for this version"
            ));
        };
        match postcard::take_from_bytes(values) {
            Ok((state, [])) => Ok(state),
            Ok(_) => Err(format!("the snapshot has bytes after `{name}`")),
            Err(error) => Err(format!("the snapshot holds no `{name}`: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    state! {
        #[derive(Debug, PartialEq)]
        struct Account { paid: u32, owed: u32, items: Vec<Item> }
        #[derive(Debug, PartialEq)]
        enum Item { Named { name: String }, Free }
    }

    fn account() -> Account {
        let items = vec![
            Item::Named {
                name: "x".to_owned(),
            },
            Item::Free,
        ];
        Account {
            paid: 7,
            owed: 9,
            items,
        }
    }

    #[test]
    fn a_value_comes_back_as_it_was() {
        assert_eq!(Snapshot::of(1, &account()).read(), Ok(account()));
    }

    #[test]
    fn fields_in_another_order_are_refused() {
        mod reordered {
            use super::Item;
            crate::state! {
                #[derive(Debug, PartialEq)]
                pub struct Account { owed: u32, paid: u32, items: Vec<Item> }
            }
        }
        let error = Snapshot::of(1, &account()).read::<reordered::Account>();
        let error = error.expect_err("they are swapped");
        assert!(error.starts_with("the snapshot, of version 1, has other fields than `Account`"));
    }

    #[test]
    fn another_name_of_the_type_is_no_other_type() {
        state! {
            struct Renamed { paid: u32, owed: u32, items: Vec<Item> }
        }
        let renamed: Renamed = Snapshot::of(1, &account()).read().expect("the same fields");
        assert_eq!((renamed.paid, renamed.owed, renamed.items.len()), (7, 9, 2));
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = Snapshot::of(1, &account());
        for length in 0..whole.state.len() {
            let cut = Snapshot::new(1, &whole.state[..length]);
            assert!(cut.read::<Account>().is_err(), "{length}");
        }
        let mut longer = whole;
        longer.state.push(0);
        assert!(longer.read::<Account>().is_err());
    }
}
