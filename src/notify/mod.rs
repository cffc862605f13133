//! Tells people. What to tell is decided purely ([`decide`]) and written with the result ([`crate::store`]'s outbox);
//! what was written is then delivered at least once, under an id that the far end can tell repeats by.

mod channels;
mod compose;
mod decide;
mod deliver;
mod email;
mod heartbeat;
mod http;
mod message;
mod otlp;
mod pagerduty;
mod slack;
mod sns;
mod webhook;

pub(crate) use channels::address;
pub use channels::{Envelope, render, send};
pub use compose::compose;
pub use decide::{Decision, NotifyReason, decide_cleanup, decide_verdict};
pub use deliver::Deliverer;
pub use heartbeat::{HeartbeatState, send_heartbeat};
pub use http::DeliveryError;
pub use message::{Finding, Message, ReasonName};
pub use otlp::export;
