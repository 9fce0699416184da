//! Telling the app that a new generation was published.
