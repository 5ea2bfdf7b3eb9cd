"""`make delivery-show`: results on their way to an Orthanc that is stopped, started, killed, and replaced for a while by one that refuses."""
