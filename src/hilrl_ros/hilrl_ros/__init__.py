"""What all hilrl nodes share: parameters, image conversion, stamps, QoS, main."""
