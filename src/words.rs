//! What the caller's errors and panics say, in one line.

use std::any::Any;
#[cfg(any(feature = "agent", feature = "testing"))]
use std::error::Error;

/// An error with its causes, which is where clients say what really happened.
#[cfg(any(feature = "agent", feature = "testing"))]
pub(crate) fn of_error(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors say what their cause says.
        if !words.ends_with(&said) {
            words = format!("{words}: {said}");
        }
        cause = error.source();
    }
    words
}

/// The message of a panic.
pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    let said = owned.or_else(|| panic.downcast_ref::<&str>().copied());
    said.unwrap_or("(no message)")
}

#[cfg(all(test, any(feature = "agent", feature = "testing")))]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_once_each() {
        let cause = Layer("connection refused", None);
        let middle = Layer("connect: connection refused", Some(Box::new(cause)));
        let error = Layer("client error", Some(Box::new(middle)));
        let words = of_error(&error);
        assert_eq!(words, "client error: connect: connection refused");
    }
}
