//! Tells people. What to tell is decided purely ([`decide`]) and written with the result ([`crate::store`]'s outbox);
//! what was written is then delivered at least once, under an id that the far end can tell repeats by.

mod channels;
mod compose;
mod decide;
mod deliver;
mod email;
mod http;
mod message;
mod otlp;
mod pagerduty;
mod ping;
mod slack;
mod sns;
mod webhook;

pub(crate) use channels::address;
pub use channels::{Parcel, render, send};
pub use compose::compose;
pub use decide::{Because, Decision, decide_cleanup, decide_verdict};
pub use deliver::Deliverer;
pub use http::NotSent;
pub use message::{Finding, Message, Reason};
pub use otlp::export;
pub use ping::{Pulse, ping};
