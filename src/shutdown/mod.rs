pub(crate) mod stages;
