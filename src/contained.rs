//! Calls the caller's code where its panic ends nothing else: what formats an error, wakes a task, or drops a value on the
//! way out of a part whose panics are caught already.

use std::any::Any;
#[cfg(feature = "shutdown")]
use std::ops::{Deref, DerefMut};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Calls `code`. A panic comes back as its message, and its payload is discarded.
#[cfg(not(all(test, any(tower_drain_loom, tower_drain_shuttle))))]
pub(crate) fn call<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

/// In the models a panic is the verdict of the checker, and passes.
#[cfg(all(test, any(tower_drain_loom, tower_drain_shuttle)))]
pub(crate) fn call<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    Ok(code())
}

/// Returns the message of a panic, and discards its payload.
pub(crate) fn message(payload: Box<dyn Any + Send>) -> String {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let said = owned.or_else(|| payload.downcast_ref::<&str>().copied());
    let said = said.unwrap_or("(no message)").to_owned();
    discard(payload);
    said
}

/// Drops `value`. A panic in its drop ends here. So does one in the drop of that panic's payload, and what that one
/// carries is leaked: its drop might panic again, without end.
pub(crate) fn discard<T>(value: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(value)));
    if let Err(payload) = dropped {
        if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(next);
        }
    }
}

/// A value that is [discarded](discard) and not merely dropped.
#[cfg(feature = "shutdown")]
#[derive(Debug)]
pub(crate) struct Contained<T>(Option<T>);

#[cfg(feature = "shutdown")]
impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect(TAKEN)
    }
}

#[cfg(feature = "shutdown")]
const TAKEN: &str = "it is there until it is taken";

#[cfg(feature = "shutdown")]
impl<T> Deref for Contained<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(TAKEN)
    }
}

#[cfg(feature = "shutdown")]
impl<T> DerefMut for Contained<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(TAKEN)
    }
}

#[cfg(feature = "shutdown")]
impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            discard(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// Its drop panics with another of its kind.
    struct Endless;

    impl Drop for Endless {
        fn drop(&mut self) {
            panic_any(Endless);
        }
    }

    #[test]
    fn a_panic_comes_back_as_its_message() {
        assert_eq!(call(|| 1), Ok(1));
        assert_eq!(call(|| panic!("plain")), Err::<(), _>("plain".into()));
        assert_eq!(call(|| panic!("with {}", 1)), Err::<(), _>("with 1".into()));
        assert_eq!(call(|| panic_any(1)), Err::<(), _>("(no message)".into()));
    }

    #[test]
    fn a_payload_whose_drop_panics_ends_with_the_call() {
        let panicked = call(|| panic_any(Endless));
        assert_eq!(panicked, Err::<(), _>("(no message)".into()));
        discard(Endless);
    }
}
