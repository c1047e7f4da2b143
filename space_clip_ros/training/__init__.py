"""Training: losses, optimiser steps, and runs that can be resumed."""
