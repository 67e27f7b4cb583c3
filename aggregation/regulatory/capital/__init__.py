"""The capital report: credit, CVA and market risk together, compared and planned."""
