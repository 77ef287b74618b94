//! How open streams end when the service drains.

mod base64;
mod ending;
mod ext;
mod frames;
mod goodbye;
mod head;
mod layer;
mod manner;
mod policy;
mod records;
mod retry;

pub(crate) use self::{
    ending::Ending,
    head::StreamRequest,
    layer::{StreamCall, StreamConfig},
};
pub use self::{
    ext::{DrainStreamExt, EndOnDrain, GoodbyeOnDrain},
    goodbye::Goodbye,
    head::StreamHead,
    policy::StreamPolicy,
};
