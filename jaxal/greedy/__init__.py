"""The engines that all selection rules share: masked top-k, block-lazy greedy, D^2 sampling."""
