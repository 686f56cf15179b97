//! The flags about topics over several nodes.

use std::path::PathBuf;

use crate::cli::parse;
use crate::nats::NatsOptions;

const TOPICS: &str = "Topics over several nodes";

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(super) struct TopicsFlags {
    /// NATS servers over which connections of several nodes meet: nats://HOST or nats://HOST:PORT, or tls://…, joined by commas [default: none]
    #[arg(long, value_name = "URL", value_parser = parse::topics, help_heading = TOPICS)]
    topics: Option<NatsOptions>,

    /// File with the login for NATS: its credentials (.creds), or one line USER:PASSWORD or TOKEN [default: as in --topics]
    #[arg(long, value_name = "FILE", requires = "topics", help_heading = TOPICS, hide_short_help = true)]
    topics_credentials: Option<PathBuf>,

    /// File with the certificates (PEM) that those of the NATS servers are signed with [default: the system's]
    #[arg(long, value_name = "FILE", requires = "topics", help_heading = TOPICS, hide_short_help = true)]
    topics_ca: Option<PathBuf>,

    /// What the subjects in NATS begin with; servers with the same meet
    #[arg(long, value_name = "PREFIX", requires = "topics", default_value = NatsOptions::PREFIX, help_heading = TOPICS, hide_short_help = true)]
    topics_prefix: String,
}

impl TopicsFlags {
    /// The options that they stand for; `None` on a node of its own.
    pub(super) fn options(self) -> Option<NatsOptions> {
        self.topics.map(|mut topics| {
            topics.credentials = self.topics_credentials;
            topics.ca = self.topics_ca;
            topics.prefix = self.topics_prefix;
            topics
        })
    }
}
