use std::ops::{Deref, DerefMut};

/// A box that is mostly not there. Whether it is, is asked where it is dropped, and not by a call: an `Option` of a box
/// costs every request one for each.
#[derive(Debug)]
pub(crate) struct Seldom<T>(Option<Box<T>>);

impl<T> Seldom<T> {
    pub(crate) const NONE: Self = Self(None);
}

impl<T> From<Option<Box<T>>> for Seldom<T> {
    #[inline]
    fn from(boxed: Option<Box<T>>) -> Self {
        Self(boxed)
    }
}

impl<T> Deref for Seldom<T> {
    type Target = Option<Box<T>>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Seldom<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> Drop for Seldom<T> {
    #[inline(always)]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn drop_boxed<T>(boxed: Box<T>) {
            drop(boxed);
        }
        if let Some(boxed) = self.0.take() {
            drop_boxed(boxed);
        }
    }
}
