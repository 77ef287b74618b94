//! How open streams end when the service drains.

mod boundary;
mod ending;
mod ext;
mod goodbye;
mod head;
mod layer;
mod policy;
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
