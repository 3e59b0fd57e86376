import { configure } from '@testing-library/react-native';

configure({ asyncUtilTimeout: 20_000 }); // for machines that are busy
