"""The paper's sequence generation (Section 3.2, Appendix A.3): four sequences, four models."""
