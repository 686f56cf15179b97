//! The body of a request, which is a component. It takes memory as it arrives, from what
//! all requests may hold together ([`RequestBytes`]).

use std::sync::Arc;

use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};

use crate::control::receive::{HeldBytes, RequestBytes};

/// Why it is not taken.
pub struct Refused {
    pub status: StatusCode,
    pub error: String,
}

fn refused(status: StatusCode, error: impl Into<String>) -> Refused {
    let error = error.into();
    Refused { status, error }
}

/// Read it all, at most `max` bytes.
///
/// # Errors
/// When it is larger, the client breaks off, or requests hold too much already.
pub async fn read(
    mut body: Incoming,
    max: usize,
    bytes: &Arc<RequestBytes>,
    reached: &LimitCounters,
) -> Result<(Vec<u8>, HeldBytes), Refused> {
    let too_large = || {
        reached.count(Limit::Component);
        let error = format!(
            "the component is too large: at most {max} bytes are accepted (--max-component)"
        );
        refused(StatusCode::PAYLOAD_TOO_LARGE, error)
    };
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let (mut all, mut held) = (Vec::new(), bytes.hold_none());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| refused(StatusCode::BAD_REQUEST, "the body breaks off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let wanted = all.len().saturating_add(data.len());
        if wanted > max {
            return Err(too_large());
        }
        held.make_room(&mut all, wanted, max, reached)
            .map_err(|error| refused(StatusCode::SERVICE_UNAVAILABLE, error))?;
        all.extend_from_slice(&data);
    }
    Ok((all, held))
}
