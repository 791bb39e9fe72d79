"""The atlas: how far versions of the libraries are from the reference, and where one changed the bits."""
