"""The page of `keraldi report`: what a model dir says, gathered, drawn and laid out."""
