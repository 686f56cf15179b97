//! The parameters of a request: what comes after the question mark.

use clap::ValueEnum;

use crate::control::protocol::{ConnectionQuery, MAX_ROWS, SortBy};

/// Those that there are. One that is empty is as if it were not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub service: Option<String>,
    /// The number of a connection.
    pub connection: Option<String>,
    pub filter: Option<String>,
    pub sort: Option<String>,
    pub reverse: Option<String>,
    pub rows: Option<String>,
    /// Of the file that is swapped in; only shown.
    pub name: Option<String>,
    pub policy: Option<String>,
    /// The number of the generation that a rollback leaves.
    pub from: Option<String>,
}

impl Query {
    /// # Errors
    /// When there is one that is not known, or one twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let field = match &*name {
                "service" => &mut query.service,
                "connection" => &mut query.connection,
                "filter" => &mut query.filter,
                "sort" => &mut query.sort,
                "reverse" => &mut query.reverse,
                "rows" => &mut query.rows,
                "name" => &mut query.name,
                "policy" => &mut query.policy,
                "from" => &mut query.from,
                _ => return Err(format!("there is no parameter {name:?}")),
            };
            if field.is_some() {
                return Err(format!("the parameter {name:?} is there twice"));
            }
            *field = Some(value.into_owned());
        }
        let fields = [
            &mut query.service,
            &mut query.connection,
            &mut query.filter,
            &mut query.sort,
            &mut query.reverse,
            &mut query.rows,
            &mut query.name,
            &mut query.policy,
            &mut query.from,
        ];
        for field in fields {
            field.take_if(|value| value.is_empty());
        }
        Ok(query)
    }

    /// The generation that is to be rolled back, if it matters.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn generation(&self) -> Result<Option<u64>, String> {
        let read = |from: &String| from.parse().map_err(|_| wrong("from", from));
        self.from.as_ref().map(read).transpose()
    }

    /// Which connections are meant.
    ///
    /// # Errors
    /// When a value can't be read.
    pub fn connections(self) -> Result<ConnectionQuery, String> {
        let sort = self.sort.map(|sort| {
            let found = SortBy::from_str(&sort, false);
            found.map_err(|_| wrong("sort", &sort))
        });
        let rows = self.rows.map(|rows| {
            let found = rows.parse::<usize>();
            found.map_err(|_| wrong("rows", &rows))
        });
        let reverse = match self.reverse.as_deref() {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => return Err(wrong("reverse", other)),
        };
        Ok(ConnectionQuery {
            service: self.service,
            filter: self.filter,
            sort: sort.transpose()?.unwrap_or_default(),
            reverse,
            rows: rows.transpose()?.unwrap_or(MAX_ROWS),
        })
    }
}

fn wrong(name: &str, value: &str) -> String {
    format!("{name}={value:?} can't be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("filter=10.0%200%2B&sort=received&reverse=true&rows=7&service=");
        let query = query.expect("parameters").connections();
        let query = query.expect("values");
        assert_eq!(query.filter.as_deref(), Some("10.0 0+"));
        assert_eq!(query.sort, SortBy::Received);
        assert_eq!((query.reverse, query.rows), (true, 7));
        assert_eq!(query.service, None);
    }

    #[test]
    fn mistakes_are_named() {
        for wrong in ["filter=a&filter=b", "token=secret", "=", "&x"] {
            assert!(Query::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["sort=colour", "rows=-1", "rows=many", "reverse=maybe"] {
            let query = Query::parse(wrong).expect("parameters");
            assert!(query.connections().is_err(), "{wrong}");
        }
        let query = Query::parse("from=first").expect("parameters");
        assert!(query.generation().is_err());
    }
}
