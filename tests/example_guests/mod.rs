//! The guests that come with the project, as they are in `guest/prebuilt/`.

mod behaviour;
mod chat;
mod first_release;
mod hello_as_in_node;
mod http;
mod kv;
mod postgres;
mod smtp;
mod up_to_date;
