//! Result sets, figures and pages.
